"""The colours of lines in every picture, those that matplotlib draws and those of the report."""

HUES = ("#2364aa", "#d1495b", "#3d8b5a", "#b8860b", "#6a4c93", "#0e7c7b", "#8d6e63", "#5f6b7a", "#c2185b", "#7cb342")
