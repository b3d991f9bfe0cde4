"""Stages that do nothing, so that only the platform's own cost is left."""
