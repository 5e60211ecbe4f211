"""The job child's people, for tests that look at what they leave behind."""

from tests.work.conftest import anna, workplace

__all__ = ["anna", "workplace"]
