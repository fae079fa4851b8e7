"""Helpers that all packages share. Imports no other package of ours."""
