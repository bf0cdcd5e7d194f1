"""Check the printed results of any network meta-analysis: what agrees, what clashes, and what follows."""

from psps_paper.audit.checking import Audit, audit
from psps_paper.audit.findings import Finding
from psps_paper.audit.report import html_report, text_report
from psps_paper.audit.template import TEMPLATE

__all__ = ["TEMPLATE", "Audit", "Finding", "audit", "html_report", "text_report"]
