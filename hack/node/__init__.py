"""The package on a real node: its image in a pod, on containerd and kubelet, as root. `make node` runs it."""
