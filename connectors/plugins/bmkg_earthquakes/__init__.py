"""BMKG's feeds of earthquakes, as it publishes them for everybody."""
