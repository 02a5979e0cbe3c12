"""Grafana's dashboards as code: ``python -m dashboards`` writes the JSON files of this folder anew."""
