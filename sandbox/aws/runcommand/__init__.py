"""Systems Manager's Run Command on hosts that only pretend: moto knows but success."""
