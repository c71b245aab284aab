"""The parts of the sample company's process; `crm.simulate` is the way in."""
