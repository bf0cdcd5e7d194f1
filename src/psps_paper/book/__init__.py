"""Tables, figures and texts for the chapters, one module per subject."""
