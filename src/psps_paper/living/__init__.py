"""A review that lives: import of trial-level data, what an update changes, exports, new reviews."""
