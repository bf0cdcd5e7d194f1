"""A review that lives: import of trial-level data, what an update changes, exports, new reviews."""


def __getattr__(name: str):
    # Commands that only import or export need not load what draws chapters.
    if name == "open_review":
        from psps_paper.living.review import open_review

        return open_review
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
