module orcacache.dev/hack/lab/kube/pause

go 1.26
