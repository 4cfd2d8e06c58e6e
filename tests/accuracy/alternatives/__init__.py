"""The accuracy suite's scenarios on what else one could use, measured with the same programs and the same truth."""
