"""The pages at `/_sandbox/`: a marketer's and a salesperson's desk for people, without any script."""

from include.sandbox.pages.site import Pages

__all__ = ["Pages"]
