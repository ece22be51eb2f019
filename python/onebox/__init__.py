"""Onebox, as the app sees it."""
