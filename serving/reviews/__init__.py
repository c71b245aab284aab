"""Review packs and meetings: their figures, words, files, decisions, actions, minutes and calendar."""
