"""The Compare screen: flows and estimators from the same data, parameters and seeds, with exact likelihoods for all."""
