"""The fleet under traffic, kills, restarts and rotations for half an hour and more: what grows, and whether every minute's counts are exact."""
