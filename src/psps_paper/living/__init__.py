"""Living reviews: import of trial-level data, changes by an update, exports, new reviews."""


def __getattr__(name: str):
    # Loading the chapter code only on demand keeps commands that just import or export fast.
    if name == "open_review":
        from psps_paper.living.review import open_review

        return open_review
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
