module commands

go 1.26
