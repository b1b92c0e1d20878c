"""Sizes as people say them: cards are sold in decimal units."""

from __future__ import annotations


def size_said(size_bytes: int) -> str:
    """For example ``31.3 GB``; empty for no size."""
    if not size_bytes:
        return ""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"
