module edgeramp.dev/local/tools/pause

go 1.26
