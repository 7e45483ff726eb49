"""The archive and the manifest of the kubectl plugin."""
