"""An outcome as JSON, table, figures, HTML and PDF."""

from flr_volumetry.report.canvas import FigureKind, ReportFigure
from flr_volumetry.report.document import SCHEMA_VERSION, report_json, report_schema
from flr_volumetry.report.gallery import figures
from flr_volumetry.report.page import render_html
from flr_volumetry.report.pdf import pdf_bytes
from flr_volumetry.report.row import case_row
from flr_volumetry.report.row_files import rows_csv, rows_metadata, rows_parquet
from flr_volumetry.report.scene import scene_3d
from flr_volumetry.report.table import summary_table, summary_text
from flr_volumetry.report.viewer import viewer_of

__all__ = [
    "SCHEMA_VERSION",
    "FigureKind",
    "ReportFigure",
    "case_row",
    "figures",
    "pdf_bytes",
    "render_html",
    "report_json",
    "report_schema",
    "rows_csv",
    "rows_metadata",
    "rows_parquet",
    "scene_3d",
    "summary_table",
    "summary_text",
    "viewer_of",
]
