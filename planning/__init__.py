"""Goals and what follows from them: pace, reports, reviews, risks, plans."""
