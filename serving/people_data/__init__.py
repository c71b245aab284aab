"""What persons are owed: who sees their figures, what for, how long; what is known of them, exported, erased."""
