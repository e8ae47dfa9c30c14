<?php

if (
