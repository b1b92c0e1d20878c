"""The walk through screens: a tab for each step, in the order in which a host is set up.

A pane asks the same modules as the commands; it only shows and asks. What can take long runs in a thread.
"""

from writer_helper.screens.app import HelperApp

__all__ = ["HelperApp"]
