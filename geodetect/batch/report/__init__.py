"""A batch for people: a page with maps and pictures, and tables for other programs."""

from geodetect.batch.report.page import write_report
from geodetect.batch.report.summary import write_summary

__all__ = ["write_report", "write_summary"]
