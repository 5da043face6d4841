"""What a run must survive: kill -9, power cuts, full disks, damaged files, company."""
