"""The laws of update times that a recorded run is fitted by."""
