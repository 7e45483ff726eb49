"""What goes wrong while the machine is being set up."""


class SetupError(Exception):
    """One sentence for the person at the screen; where there is a log, the sentence names it."""
