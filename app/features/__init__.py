"""The screens: each folder has all of one."""
