"""The command ``psps-paper``, one module for each group of commands."""
