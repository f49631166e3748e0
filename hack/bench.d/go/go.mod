module orcacache.dev/bench

go 1.26
