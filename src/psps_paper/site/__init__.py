"""What Sphinx needs to build the pages."""
