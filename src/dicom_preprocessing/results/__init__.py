"""What is written about the images: receipts, manifest, failures, summary, verdict, report.

All that a user finds in the output folder besides images; nothing that makes pixels.
"""
