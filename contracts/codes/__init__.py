"""Codes of companies, products and investors (JR/T 0326-2024), checked as text."""
