"""The Dimensions screen: its settings, and its views: digits, scaling, memory."""
