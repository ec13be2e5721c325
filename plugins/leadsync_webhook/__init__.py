"""The address that a Marketo webhook calls: Sync Person to Microsoft within seconds (D22, D35)."""
