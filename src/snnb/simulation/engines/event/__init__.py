"""The engine `event`: weights are added only where a neuron spikes.

**One step.** Let a convolution read an image of one row with 4 positions and one
channel. Its kernel has the 3 taps 0.25, 0.5 and 1, and its one filter has the bias
0.125. So it has 4 windows, one at each position. All thresholds are 1, and all
potentials 0. In the step, the neurons 1 and 2 of the image spike. This is what happens
to the spike of neuron 1, and to the other one:

    neuron                          0      1      2      3
    spikes that are read            0      1      1      0     word 6
    weights of the spike of 1   1.000  0.500  0.250
    weights of the spike of 2          1.000  0.500  0.250
    current                     1.000  1.500  0.750  0.250
    potential                   1.125  1.625  0.875  0.375
    spikes                          1      1      0      0     word 3
    potential after them        0.125  0.625  0.875  0.375

1. The spikes of the image are bits of a *word*, an integer of 64 bits: bit i is the
   spike of neuron i, so that the neurons 1 and 2 give 2 + 4 = 6. The loops have the
   spikes of each step as such words (`loop_arrays`).
2. `compiled_loops.list_spikes` lists the neurons whose bits are 1: 1, 2.
3. For each neuron of the list, a table of the projection states which weights it adds
   to which currents. Neuron 1 is under tap 2 of window 0, under tap 1 of window 1, and
   under tap 0 of window 2. Thus it adds 1, 0.5 and 0.25 to the currents of these
   windows. The table has this as one *run*: 3 weights in this order, and the window at
   which they begin. `projection_tables` makes the tables, and `compiled_loops` has a
   function for each form of table.
4. If the population has other projections, they add to the same currents, one after the
   other.
5. `compiled_loops.simulate_neurons` adds the current and the bias to each potential,
   compares it with the threshold, and subtracts the threshold where it is reached. The
   bits of the comparison are the spikes of the population: the word 1 + 2 = 3, which
   the next population reads.

Only the weights of neurons that spike are read: 6 here, of the 10 that the convolution
multiplies.

**Many steps.** A population simulates up to 100 steps before the next one: first the
currents of some of them, a projection after the other, so that weights stay in the
cache; then the neurons. So the spikes between two populations are words of the shape
(samples, steps, words).

**Files**, each of which reads only those above it:

    loop_arrays         the arguments of the loops: spikes, neurons, tables, buffers
    vectors             a type of numba for vectors that stay in registers
    projection_tables   makes the tables of a projection from its geometry and weights
    compiled_loops      the loops that numba compiles
    weighted_sums       currents of values that all neurons have, such as pixels
    compiled_network    a network with its tables, its state, and a simulator for each
                        population
    event_engine        the engine: samples, threads, steps, what is counted
    separated           the engine of separated firing, which needs no loop over steps
"""
