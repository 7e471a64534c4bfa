"""Pictures: functions from documents or arrays to matplotlib figures, one module a subject; the callers save them."""
