"""Sphinx extension and tools that build the pages."""
