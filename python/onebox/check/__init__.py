"""`onebox check`: finds in an app's source what breaks or misleads on several workers. The app is
parsed and never imported."""
