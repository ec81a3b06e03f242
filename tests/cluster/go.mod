module github.com/local-source-proxy/local-source-proxy/tests/cluster

go 1.26.0
