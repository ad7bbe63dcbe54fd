"""What every component has to pass, a plugin's as well as a built-in one."""
