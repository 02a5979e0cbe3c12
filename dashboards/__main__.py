"""Writes every dashboard: ``python -m dashboards``."""

from dashboards.build import FOLDER, documents

for name, text in documents().items():
    (FOLDER / name).write_text(text)
