"""Errors, paths, params, version numbers, the console: what every other room stands on."""
