"""What lasts: a fitted estimator as plain facts and arrays, and as a file."""
