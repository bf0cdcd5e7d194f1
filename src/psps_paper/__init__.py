"""Executable edition of a systematic review and network meta-analysis: tables, claims, engine, figures."""
