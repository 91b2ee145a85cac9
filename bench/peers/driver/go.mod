module baton/bench/peers/driver

go 1.26.0
