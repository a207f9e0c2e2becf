"""For teachers: plans, what to say to wrong answers, notes, and papers of each lesson."""
